"""FastAPI with onnxruntime, as its documentation has blocking work: a plain `def`, run in the thread pool.

The pool has as many threads as there are cores, since more sessions at once only take turns; uvicorn refuses with 503
beyond 64 connections (`limit_concurrency`).
"""

import os
from contextlib import asynccontextmanager

import anyio.to_thread
import uvicorn
from fastapi import Body, FastAPI
from work import from_environment


@asynccontextmanager
async def lifespan(_: FastAPI):
    """Sizes the thread pool."""
    anyio.to_thread.current_default_thread_limiter().total_tokens = int(os.environ["BENCH_THREADS"])
    yield


app = FastAPI(lifespan=lifespan)
localiser = from_environment()


@app.post("/analyse")
def analyse(data: bytes = Body(media_type="application/octet-stream")) -> dict[str, str]:
    """Map and mask of the image in the body."""
    return localiser.analyse(data)


if __name__ == "__main__":
    port = int(os.environ["BENCH_PORT"])
    uvicorn.run(app, host="127.0.0.1", port=port, limit_concurrency=64, log_level="error")
