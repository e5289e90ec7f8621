"""User-Mode Linux's management console: does a kernel still live on which nothing moves any more, and what does it do?"""

import pathlib
import socket
import struct
import tempfile

_REQUEST, _REPLY, _MOST = "<III512s", "<III", 512  # arch/um/drivers/mconsole.h
_MAGIC, _VERSION = 0xCAFEBABE, 2
PATIENCE_S = 5  # an answer is given in an interrupt: at once, or never


def answers(directory, board):
    """The kernel's name and what it does at this moment; none where it does not answer. It is not to be used any more after that: to
    show a running task's stack User-Mode Linux may have to end."""
    with tempfile.TemporaryDirectory() as own, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.bind(f"{own}/client")
        client.settimeout(PATIENCE_S)
        try:
            client.connect(str(pathlib.Path(directory) / board / "mconsole"))
            return f"{_ask(client, b'version')}\n{_ask(client, b'sysrq p')}"
        except OSError:
            return None


def _ask(client, command):
    client.send(struct.pack(_REQUEST, _MAGIC, _VERSION, len(command), command))
    text, more = "", True
    while more:
        answer = client.recv(struct.calcsize(_REPLY) + _MOST)
        _, more, length = struct.unpack_from(_REPLY, answer)
        text += answer[struct.calcsize(_REPLY) :][:length].rstrip(b"\0").decode(errors="replace")
    return text
