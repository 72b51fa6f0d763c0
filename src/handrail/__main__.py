"""`python -m handrail` is `handrail`."""

from handrail.cli.main import run

if __name__ == "__main__":
    run()
