"""`amr-centre verify-log`."""

import argparse
import re

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from centre.commands.exit_codes import COULD_NOT
from centre.commands.parts import Commands, core_of, no
from centre.platform import signing
from centre.platform.home import Home
from centre.work import verify_log as audit

SHOWN_MAX = 100


def add_verify_log(commands: Commands) -> None:
    parser = commands.add(verify_log)
    parser.add_argument(
        "--public-key",
        type=_public_key,
        metavar="KEY",
        help="the key that signs the log, as it was written down elsewhere (default: the home's own)",
    )
    parser.add_argument(
        "--known-head",
        type=_head,
        metavar="SEQ:HASH",
        help="a head that was written down elsewhere, which the log must still contain",
    )


def verify_log(arguments: argparse.Namespace) -> int:
    home, seen = Home(arguments.home), audit.Seen()
    own = signing.key_of(home).public_key()
    core = core_of(arguments)
    count = 0
    for finding in audit.verify(core, arguments.public_key or own, seen, known_head=arguments.known_head):
        count += 1
        if count <= SHOWN_MAX:
            print(finding.encode(errors="replace").decode(), flush=True)
    core.store.close()
    seq, head = seen.head
    print(f"{seen.entries} entries, {seen.erased} of them erased, {seen.signatures} signatures")
    print(f"head: {seq}:{head.hex()}\npublic key: --public-key={signing.write_public(own)}")
    if count:
        return no(COULD_NOT, f"the log is not as it was written: {count} finding(s)")
    print("the log is as it was written")
    return 0


def _public_key(text: str) -> Ed25519PublicKey:
    try:
        return signing.read_public(text)
    except ValueError:
        raise argparse.ArgumentTypeError("a public key has 43 characters, as verify-log prints it") from None


def _head(text: str) -> tuple[int, bytes]:
    if not re.fullmatch(r"[0-9]{1,15}:[0-9a-f]{64}", text, re.ASCII):
        raise argparse.ArgumentTypeError("a head is SEQ:HASH, as verify-log prints it")
    seq, _, digest = text.partition(":")
    return int(seq), bytes.fromhex(digest)
