"""Reads the mail on standard input as strictly as Python can, and says in JSON what it found wrong and what it read."""
import email
import email.policy
import json
import sys

message = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.SMTP + email.policy.strict)
defects, parts = [], []
for part in message.walk():
    where = part.get_content_type()
    defects += [f"{where}: {d!r}" for d in part.defects]
    for name, value in part.items():
        defects += [f"{where}: {name}: {d!r}" for d in value.defects]
    if not part.is_multipart():
        parts.append({"type": where, "charset": part.get_content_charset(), "text": part.get_content()})
        defects += [f"{where}: content: {d!r}" for d in part.defects]
json.dump({"defects": defects, "headers": [[k, str(v)] for k, v in message.items()], "parts": parts}, sys.stdout)
