"""The same GET in FastAPI: look the key up, check time and HMAC, read the row, answer with JSON.

Written for speed: no threads, one connection per process, no response model. $BENCH_DATABASE names
an SQLite file with the tables keys(access_key, secret) and jobs(org, name, body).
"""
import base64
import hashlib
import hmac
import json
import os
import sqlite3
import time

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
database = sqlite3.connect(os.environ["BENCH_DATABASE"], check_same_thread=False)


def refuse(status, message):
    return JSONResponse({"error": True, "message": message}, status_code=status)


@app.get("/cloud_ml/v1/train/{name}")
async def describe(name: str, request: Request):
    headers = request.headers
    timestamp = headers.get("x-xiaomi-timestamp", "")
    if not timestamp.isdigit() or abs(time.time() - int(timestamp)) > 900:
        return refuse(401, "the clock")
    md5 = headers.get("x-xiaomi-content-md5", "")
    if not hmac.compare_digest(md5, hashlib.md5(await request.body()).hexdigest()):
        return refuse(401, "the body")
    key = headers.get("x-xiaomi-secret-key-id", "")
    row = database.execute("SELECT org, secret FROM keys WHERE access_key = ?", (key,)).fetchone()
    org, secret = row if row else ("", "x" * 40)
    text = f"{request.url.path}\n{timestamp}\n{md5}\n".encode()
    signature = base64.b64encode(hmac.new(secret.encode(), text, hashlib.sha1).digest()).decode()
    if not hmac.compare_digest(headers.get("authorization", ""), f"Galaxy V3 {signature}") or not row:
        return refuse(401, "signature is wrong")
    job = database.execute("SELECT body FROM jobs WHERE org = ? AND name = ?", (org, name)).fetchone()
    if not job:
        return refuse(404, "Train job doesn't exist")
    return JSONResponse(json.loads(job[0]))
