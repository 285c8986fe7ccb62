"""Verifies each DKIM signature of the mail on standard input with dkimpy; the argument is a JSON file of TXT records.

Prints a JSON list with "ok" or the reason for each signature, from the top."""
import json
import sys

import dkim

with open(sys.argv[1]) as f:
    records = json.load(f)


def txt(name, timeout=5):
    record = records.get(name.decode().rstrip("."))
    return record and record["TXT"][0][0].encode()


raw = sys.stdin.buffer.read()
verdicts = []
for i in range(sum(name.lower() == b"dkim-signature" for name, _ in dkim.rfc822_parse(raw)[0])):
    try:
        verdicts.append("ok" if dkim.DKIM(raw).verify(idx=i, dnsfunc=txt) else "bad signature")
    except dkim.DKIMException as e:
        verdicts.append(str(e))
json.dump(verdicts, sys.stdout)
