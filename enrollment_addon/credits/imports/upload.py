"""Taking a file in: read as a stream, staged block by block, each in a transaction of its own."""

from typing import BinaryIO

from sqlalchemy.orm import Session

from ...core.db import unit_of_work
from ...core.scope import Actor
from . import service
from .files import blocks, digest_of, opened

BLOCK = 2_000


def upload(session: Session, *, file: BinaryIO, name: str, actor: Actor) -> int:
    """Stage a whole file; the key of its import. Raises: BadFile, and then nothing of it is kept."""
    digest = digest_of(file)
    import_id, total = 0, 0
    with opened(file) as (header, found):
        try:
            for block in blocks(found, BLOCK):
                with unit_of_work(session):
                    if not import_id:
                        import_id = service.open_import(
                            session, name=name, digest=digest, header=header, actor=actor
                        ).id
                    service.stage_rows(session, import_id=import_id, block=block)
                total += len(block)
        except BaseException:
            if import_id:
                with unit_of_work(session):
                    service.discard_import(session, import_id=import_id, actor=actor)
            raise
    with unit_of_work(session):
        service.finish_upload(session, import_id=import_id, total=total, actor=actor)
    return import_id
