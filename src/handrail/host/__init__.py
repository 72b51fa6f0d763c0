"""The machine around us: files, processes, secrets, clock."""
