"""What ministack lacks, added in its own process: one module per gap, loaded before it serves.

Every module patches private names of the pinned version through `private`, which stops the start
with a clear message when one is gone. `docs/local-emulator.md` lists the gaps.
"""
