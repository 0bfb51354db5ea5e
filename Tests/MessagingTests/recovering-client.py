"""Prints every verdict of a station once, also what it missed, in one line each: "verdict NUMBER live|replayed".

Usage: recovering-client.py VERDICTS RECOVERY [SESSION LAST]; the last two are where an earlier run ended.
"""
import json
import sys

import zmq

context = zmq.Context()
verdicts = context.socket(zmq.SUB)
verdicts.rcvhwm = 0  # libzmq 4.3 aborts when a connection breaks while its full queue is not read (issue 3937)
verdicts.setsockopt_string(zmq.SUBSCRIBE, "inspect/")
verdicts.connect(sys.argv[1])


def ask(**request):
    """The parts before the reply, and the reply. A REQ socket is good for one answer, so each has its own."""
    while True:
        with context.socket(zmq.REQ) as socket:
            socket.linger = 0
            socket.connect(sys.argv[2])
            socket.send_string(json.dumps({"schema": 1, "id": "1", **request}))
            if socket.poll(2000):
                *originals, reply = socket.recv_multipart()
                return originals, json.loads(reply)


def replay(first, last):
    while first <= last:
        originals, reply = ask(request="REPLAY", kind="verdict", session=session, **{"from": str(first), "to": str(last)})
        numbers = [int(json.loads(message)["seq"]) for message in originals[1::2]]
        for number in numbers:
            print("verdict", number, "replayed", flush=True)
        if reply["reply"] == "ERROR":
            print("lost", first, last, reply["code"], flush=True)
            return
        end = min(int(reply["next"]), last + 1)
        for number in sorted(set(range(first, end)) - set(numbers)):
            print("lost", number, number, "hole", flush=True)
        if end == first:
            return
        first = end


_, snapshot = ask(request="SNAPSHOT")
session = snapshot["session"]
seen = int(snapshot["last_seq"]["verdict"] or 0)
if len(sys.argv) > 4 and sys.argv[3] == session:
    replay(int(sys.argv[4]) + 1, seen)
print("ready", session, seen, flush=True)

while True:
    topic, message, *_ = verdicts.recv_multipart()
    kind = topic.decode().split("/")[2]
    fields = json.loads(message)
    if fields["session"] != session:
        print("session", fields["session"], flush=True)
        session, seen = fields["session"], 0
    if kind == "verdict":
        number = int(fields["seq"])
        replay(seen + 1, number - 1)
        if number > seen:
            print("verdict", number, "live", flush=True)
            seen = number
    elif kind == "heartbeat":
        last = int(fields["last_seq"]["verdict"] or 0)
        replay(seen + 1, last)
        seen = max(seen, last)
        print("heard", fields["seq"], flush=True)
