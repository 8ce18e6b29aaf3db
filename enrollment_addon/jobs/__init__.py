"""Background work: the job record, the chunk loop, and where it runs (a worker thread, or Celery).

A job is a row, written in the transaction of whatever caused it; nothing else is needed for it to be done.
States: queued → running → done | failed | cancelled; a failed or cancelled job can be queued again (retry).

Invariants: a chunk's effects and the job's position commit together; only the holder of the lease writes;
a lease that ran out is taken over by any other worker, from the last committed position. An item that breaks its
chunk is skipped and listed with its reason; it is done again when the ended job is retried.
"""
