"""A client in a process of its own that maps a region: an independent reading of the protocol.

usage: mapping_client.py SOCKET INDEX; then lines on standard input, each answered with one line:

  info                  the reply's argsz, flags, areas ("offset+size"), and number of files
  store OFFSET BYTE     stores a byte in the mapping of the area that has the offset (in the region); "stored" or an errno's name
  load OFFSET           the byte there
  shrink                truncates the region's file; "shrunk" or an errno's name
"""

import errno
import json
import mmap
import os
import socket
import struct
import sys

VERSION, GET_REGION_INFO = 1, 5


class Connection:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        text = json.dumps({"capabilities": {"max_msg_fds": 16}}).encode() + b"\0"
        self.ask(VERSION, struct.pack("<HH", 0, 1) + text)

    def ask(self, command, body):
        self.socket.sendall(struct.pack("<HHIII", 7, command, 16 + len(body), 0, 0) + body)
        data, fds, _, _ = socket.recv_fds(self.socket, 65536, 16)
        size = struct.unpack_from("<I", data, 4)[0]
        while len(data) < size:
            data += self.socket.recv(size - len(data))
        error = struct.unpack_from("<I", data, 12)[0]
        if error:
            raise SystemExit(errno.errorcode[error])
        return data[16:], fds

    def region(self, index):
        body, fds = self.ask(GET_REGION_INFO, struct.pack("<IIIIQQ", 32, 0, index, 0, 0, 0))
        need = struct.unpack_from("<I", body)[0]
        if need > 32:
            for fd in fds:
                os.close(fd)
            body, fds = self.ask(GET_REGION_INFO, struct.pack("<IIIIQQ", need, 0, index, 0, 0, 0))
        return body, fds


def areas_of(body):
    _, flags, _, at, size, _ = struct.unpack_from("<IIIIQQ", body)
    while flags & 8 and at:
        kind, _, following = struct.unpack_from("<HHI", body, at)
        if kind == 1:
            count = struct.unpack_from("<I", body, at + 8)[0]
            return [struct.unpack_from("<QQ", body, at + 16 + 16 * n) for n in range(count)]
        at = following
    return [(0, size)]


def main():
    body, fds = Connection(sys.argv[1]).region(int(sys.argv[2]))
    argsz, flags, _, _, _, base = struct.unpack_from("<IIIIQQ", body)
    areas = areas_of(body)
    access = mmap.PROT_READ | (mmap.PROT_WRITE if flags & 2 else 0)
    maps = [
        mmap.mmap(fds[n if len(fds) > 1 else 0], size, flags=mmap.MAP_SHARED, prot=access, offset=base + start)
        for n, (start, size) in enumerate(areas)
    ]

    def place(offset):
        for (start, size), view in zip(areas, maps):
            if start <= offset < start + size:
                return view, offset - start
        raise SystemExit("no such area")

    def answer(words):
        if words[0] == "info":
            return f"{argsz} {flags} {','.join(f'{start}+{size}' for start, size in areas)} {len(fds)}"
        if words[0] == "shrink":
            os.ftruncate(fds[0], 0)
            return "shrunk"
        view, at = place(int(words[1]))
        if words[0] == "load":
            return str(view[at])
        view[at] = int(words[2])
        return "stored"

    for line in sys.stdin:
        try:
            print(answer(line.split()), flush=True)
        except OSError as error:
            print(errno.errorcode[error.errno], flush=True)
        except TypeError:
            print("EACCES", flush=True)


main()
