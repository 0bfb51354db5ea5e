"""Prints every message of an endpoint as one line. Usage: subscriber.py ENDPOINT [TOPIC_PREFIX]"""
import json
import sys

import zmq

socket = zmq.Context().socket(zmq.SUB)
socket.rcvhwm = 0  # libzmq 4.3 aborts when a connection breaks while its full queue is not read (issue 3937)
socket.setsockopt_string(zmq.SUBSCRIBE, sys.argv[2] if len(sys.argv) > 2 else "inspect/")
socket.connect(sys.argv[1])

while True:
    topic, message, *attachments = socket.recv_multipart()
    _, station, kind, _ = topic.decode().split("/")
    fields = json.loads(message)
    if kind in ("verdict", "reject"):
        text = f"part {int(fields['part_id'])} {fields['disposition']}/{fields['reason']} score {fields['score']}"
    else:
        text = " ".join(f"{key}={fields[key]}" for key in sorted(fields) if key in ("count", "state", "late"))
    print(station, kind, int(fields["seq"]), text, sum(map(len, attachments)), flush=True)
