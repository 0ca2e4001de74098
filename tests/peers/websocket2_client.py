"""The same over HTTP/2 (RFC 8441), by the libraries h2 and wsproto: websocket2_client.py ADDRESS HOST."""

import socket
import sys

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RemoteSettingsChanged, ResponseReceived, StreamEnded
from h2.settings import SettingCodes
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, TextMessage

address, host = sys.argv[1:]
target, port = address.split(":")
wire = socket.create_connection((target, int(port)), 10)
wire.settimeout(10)
h2 = H2Connection(H2Configuration(client_side=True))
h2.initiate_connection()
wire.sendall(h2.data_to_send())
events = []


def wait_for(kind, stream=None):
    while True:
        for event in list(events):
            if isinstance(event, kind) and (stream is None or event.stream_id == stream):
                events.remove(event)
                return event
        data = wire.recv(65536)
        assert data, "closed"
        events.extend(h2.receive_data(data))
        wire.sendall(h2.data_to_send())


changed = wait_for(RemoteSettingsChanged)
assert changed.changed_settings[SettingCodes.ENABLE_CONNECT_PROTOCOL].new_value == 1, changed
stream = h2.get_next_available_stream_id()
fields = {
    ":method": "CONNECT",
    ":protocol": "websocket",
    ":scheme": "http",
    ":path": "/chat",
    ":authority": host,
    "sec-websocket-version": "13",
}
h2.send_headers(stream, list(fields.items()))
wire.sendall(h2.data_to_send())
response = wait_for(ResponseReceived, stream)
headers = {name.decode() if isinstance(name, bytes) else name: value for name, value in response.headers}
assert headers[":status"] in (b"200", "200"), response
ws = Connection(ConnectionType.CLIENT)


def send(event):
    h2.send_data(stream, ws.send(event))
    wire.sendall(h2.data_to_send())


def receive():
    while True:
        for event in ws.events():
            return event
        data = wait_for(DataReceived, stream)
        h2.acknowledge_received_data(data.flow_controlled_length, stream)
        wire.sendall(h2.data_to_send())
        ws.receive_data(data.data)


for text in ["hello", "again"]:
    send(TextMessage(data=text))
    assert receive().data == text
send(TextMessage(data="close"))
closed = receive()
assert isinstance(closed, CloseConnection) and closed.code == 4001, closed
send(closed.response())
wait_for(StreamEnded, stream)
print("ok")
