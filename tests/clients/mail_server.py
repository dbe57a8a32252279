"""A mail server of others (aiosmtpd): takes what it is handed over SMTP and puts it into a folder, one line of JSON for each.

The first line says the port. Of a mail it writes the bytes as they travelled (NUMBER.eml) and the text as a reader sees it.
"""

import asyncio
import email
import email.policy
import json
import pathlib
import sys

from aiosmtpd.smtp import SMTP


class Keep:
    def __init__(self, folder):
        self.folder = folder
        self.count = 0

    async def handle_DATA(self, server, session, envelope):
        self.count += 1
        path = self.folder / f"{self.count}.eml"
        path.write_bytes(envelope.content)
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        text = mail.get_body(preferencelist=("plain",))
        print(json.dumps({
            "to": envelope.rcpt_tos,
            "subject": str(mail["subject"]),
            "kind": mail.get_content_type(),
            "boundary": mail.get_boundary(""),
            "text": text.get_content() if text else "",
            "file": str(path),
        }), flush=True)
        return "250 OK"


async def main(folder):
    keep = Keep(folder)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(keep, hostname="mx.stelle.example", loop=loop), "127.0.0.1", 0)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    # Until whoever started it closes our input, or is gone.
    await loop.run_in_executor(None, sys.stdin.buffer.read)
    # The input's thread has ended, and so may we.
    server.close()


asyncio.run(main(pathlib.Path(sys.argv[1])))
