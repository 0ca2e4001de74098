"""Calls grpc_server.py through a gateway: grpc_client.py ADDRESS AUTHORITY. Prints `ok`, or what went wrong."""

import sys
import threading

import grpc

address, authority = sys.argv[1:]
channel = grpc.insecure_channel(address, options=[("grpc.default_authority", authority)])


def code_of(call):
    try:
        call()
    except grpc.RpcError as error:
        return error
    raise AssertionError("no error")


unary = channel.unary_unary("/test.Test/Unary")
response, call = unary.with_call(b"hello", timeout=5)
assert response == b"echo hello", response
assert ("x-initial", "i") in call.initial_metadata(), call.initial_metadata()
assert ("x-trailing", "t") in call.trailing_metadata(), call.trailing_metadata()
large = b"x" * 3_000_000
assert unary(large, timeout=10) == b"echo " + large
for _ in range(50):
    assert unary(b"a", timeout=5) == b"echo a"

error = code_of(lambda: channel.unary_unary("/test.Test/Fail")(b"", timeout=5))
assert error.code() == grpc.StatusCode.NOT_FOUND, error
assert error.details() == "no such thing", error
assert ("x-trailing", "t") in error.trailing_metadata(), error

error = code_of(lambda: channel.unary_unary("/test.Test/Slow")(b"", timeout=0.5))
assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error

error = code_of(lambda: channel.unary_unary("/test.Test/Missing")(b"", timeout=5))
assert error.code() == grpc.StatusCode.UNIMPLEMENTED, error

down = list(channel.unary_stream("/test.Test/Down")(b"1000", timeout=10))
assert down == [str(number).encode() for number in range(1000)], len(down)

up = channel.stream_unary("/test.Test/Up")(iter([b"x" * 10_000] * 300), timeout=10)
assert up == b"3000000", up


came, condition = [], threading.Condition()


class Steps:
    def __init__(self):
        self.number = 0

    def __iter__(self):
        return self

    def __next__(self):
        with condition:
            assert condition.wait_for(lambda: len(came) >= self.number, 5), "no response in between"
        if self.number == 20:
            raise StopIteration
        self.number += 1
        return str(self.number).encode()


for response in channel.stream_stream("/test.Test/Both")(Steps(), timeout=20):
    with condition:
        came.append(response)
        condition.notify()
assert came == [b"echo %d" % number for number in range(1, 21)], came

got = []
error = code_of(lambda: got.extend(channel.unary_stream("/test.Test/Broken")(b"", timeout=5)))
assert error.code() == grpc.StatusCode.DATA_LOSS, error

stream = channel.unary_stream("/test.Test/Down")(b"100000000", timeout=20)
next(stream)
stream.cancel()
assert unary(b"after", timeout=5) == b"echo after"
print("ok")
