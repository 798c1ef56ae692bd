"""FastAPI under uvicorn, a process per core, with the key and the job in an SQLite database."""
import os
import sqlite3

from harness.process import BUILD, DATA, ROOT, Daemon, answers, free_port, wait_until


class FastApi(Daemon):
    def __init__(self, access, secret, name, body):
        self.port = free_port()
        folder = DATA / "fastapi"
        folder.mkdir(parents=True, exist_ok=True)
        database = folder / "jobs.db"
        database.unlink(missing_ok=True)
        with sqlite3.connect(database) as db:
            db.execute("CREATE TABLE keys(access_key TEXT PRIMARY KEY, org TEXT, secret TEXT)")
            db.execute("CREATE TABLE jobs(org TEXT, name TEXT, body TEXT, PRIMARY KEY(org, name))")
            db.execute("INSERT INTO keys VALUES (?, '1', ?)", (access, secret))
            db.execute("INSERT INTO jobs VALUES ('1', ?, ?)", (name, body))
        db.close()
        super().__init__(
            [BUILD / "venv" / "bin" / "uvicorn", "fastapi_app:app", "--app-dir",
             ROOT / "bench" / "peers", "--host", "127.0.0.1", "--port", self.port, "--workers",
             os.cpu_count(), "--no-access-log", "--log-level", "warning"],
            folder / "log", env={**os.environ, "BENCH_DATABASE": str(database)})
        wait_until(lambda: answers(self.port), 30, "FastAPI")
