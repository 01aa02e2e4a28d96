"""A client that sends a descriptor which does not let itself be closed: a TCP socket with SO_LINGER whose peer reads nothing.

usage: lingering_client.py SOCKET HOW MARK; makes the file MARK when it has sent, and lets go when its standard input ends. HOW is one of

  map      agrees on the version and maps the descriptor as memory
  urgent   the same, with the last byte of the message sent as urgent (MSG_OOB)
  first    sends it with a first message that is not VERSION
  unread   the same, behind so much that the server will not read it; the server must not read before MARK is there
"""

import json
import pathlib
import socket
import struct
import sys

VERSION, DMA_MAP, GET_INFO = 1, 2, 4
LINGER_SECONDS = 20


def lingering():
    """The socket, and what has to stay open for it to linger."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    listener.bind(("127.0.0.1", 0))
    listener.listen(1)
    near = socket.create_connection(listener.getsockname())
    far, _ = listener.accept()
    near.setblocking(False)
    try:
        while True:
            near.send(bytes(65536))
    except BlockingIOError:
        pass
    near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, LINGER_SECONDS))
    return near, far


def message(number, command, body):
    return struct.pack("<HHIII", number, command, 16 + len(body), 0, 0) + body


def negotiate(stream):
    text = json.dumps({"capabilities": {"max_msg_fds": 16}}).encode() + b"\0"
    stream.sendall(message(0, VERSION, struct.pack("<HH", 0, 0) + text))
    if not stream.recv(4096):
        raise SystemExit("the server hung up")


def send(stream, near, how):
    if how in ("map", "urgent"):
        negotiate(stream)
        whole = message(1, DMA_MAP, struct.pack("<IIQQQ", 32, 3, 0, 0, 4096))
        if how == "map":
            socket.send_fds(stream, [whole], [near.fileno()])
        else:
            stream.sendall(whole[:-1])
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", near.fileno()))
            stream.sendmsg([whole[-1:]], [rights], socket.MSG_OOB)
    elif how == "first":
        socket.send_fds(stream, [message(1, GET_INFO, bytes(16))], [near.fileno()])
    else:
        stream.sendall(message(1, GET_INFO, bytes(16)) + bytes(100_000))
        socket.send_fds(stream, [b"x"], [near.fileno()])


def main(path, how, mark):
    near, far = lingering()
    try:
        with socket.socket(socket.AF_UNIX) as stream:
            stream.connect(path)
            send(stream, near, how)
            # From now on the server has the only one.
            near.close()
            pathlib.Path(mark).touch()
            sys.stdin.read()
    finally:
        # First: this process would linger, too.
        far.close()


main(*sys.argv[1:])
