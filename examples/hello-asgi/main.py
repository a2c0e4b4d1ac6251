"""Says hello, over a WebSocket too, and tells the time as a stream of events."""

import asyncio
from datetime import UTC, datetime

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocketDisconnect


async def hello(request):
    name = request.query_params.get("name", "world")
    return PlainTextResponse(f"Hello, {name}!\n")


async def healthz(request):
    return PlainTextResponse("ok\n")


async def events(request):
    async def ticks():
        while True:
            yield f"data: {datetime.now(UTC).isoformat()}\n\n"
            await asyncio.sleep(1)

    return StreamingResponse(ticks(), media_type="text/event-stream")


async def echo(websocket):
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnect:
        pass


app = Starlette(
    routes=[
        Route("/", hello),
        Route("/healthz", healthz),
        Route("/events", events),
        WebSocketRoute("/echo", echo),
    ]
)
