import asyncio
import poll_loop
from poll_loop import PollLoop, Sink, Stream
from componentize_py_types import Ok
from wit_world import exports
from wit_world.imports.types import (
    Fields, IncomingRequest, Method_Get, OutgoingBody, OutgoingRequest, OutgoingResponse, ResponseOutparam, Scheme_Http,
)


class IncomingHandler(exports.IncomingHandler):
    def handle(self, request: IncomingRequest, response_out: ResponseOutparam) -> None:
        loop = PollLoop()
        asyncio.set_event_loop(loop)
        loop.run_until_complete(answer(request, response_out))


async def answer(request, response_out):
    url = request.path_with_query().split("url=", 1)[1]
    authority, _, path = url.removeprefix("http://").partition("/")
    call = OutgoingRequest(Fields.from_list([]))
    call.set_method(Method_Get())
    call.set_scheme(Scheme_Http())
    call.set_authority(authority)
    call.set_path_with_query("/" + path)
    got = await poll_loop.send(call)
    stream = Stream(got.consume())
    text = b"python: "
    while (chunk := await stream.next()) is not None:
        text += chunk
    response = OutgoingResponse(Fields.from_list([]))
    body = response.body()
    ResponseOutparam.set(response_out, Ok(response))
    sink = Sink(body)
    await sink.send(text)
    sink.close()
