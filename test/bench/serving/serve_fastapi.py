"""FastAPI with onnxruntime, as its documentation has it: transfers awaited, blocking work in a pool of threads.

uvicorn refuses with 503 beyond 64 connections (`limit_concurrency`).
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from work import Worker


class Job(BaseModel):
    """Where the image is, what it must be, and where map and mask go."""

    input_url: str
    sha256: str
    outputs: dict[str, str]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Loads the session before the first request."""
    app.state.worker = Worker()
    yield


app = FastAPI(lifespan=lifespan)


@app.post("/analyse")
async def analyse(job: Job) -> dict[str, str]:
    """Map and mask to storage."""
    return await app.state.worker.do(job.input_url, job.sha256, job.outputs)


if __name__ == "__main__":
    port = int(os.environ["BENCH_PORT"])
    uvicorn.run(app, host="127.0.0.1", port=port, limit_concurrency=64, log_level="error")
