"""What an environment's database and this folder hold, as three numbers: whoever changes a thing changes one of them.

python digest.py --environment production
"""

import argparse
import hashlib
from pathlib import Path

import database
from handrail.engines.base import Purpose, for_url

FOLDER = Path(__file__).parent


def of_database(url):
    """The catalogue with owners, privileges and column order, and the value of every row."""
    engine = for_url(url)
    with engine.connect(Purpose.READ) as conn:
        rows = engine.rows.fingerprint(conn, strict=True)
        return engine.catalog.fingerprint(conn, strict=True), hashlib.sha256(repr(rows).encode()).hexdigest()


def of_files(folder):
    """Every file's path, contents and permissions."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest.update(f"{path.relative_to(folder)} {path.stat().st_mode:o} ".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def main():
    parser = argparse.ArgumentParser(description="Digests of catalogue, rows and files")
    parser.add_argument("--environment", choices=database.DATABASES, default=database.DEVELOPMENT)
    catalogue, rows = of_database(database.url(parser.parse_args().environment))
    print(f"catalogue {catalogue[:16]}  rows {rows[:16]}  files {of_files(FOLDER)[:16]}")


if __name__ == "__main__":
    main()
