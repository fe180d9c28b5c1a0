"""The sandbox over real HTTP: it must keep Volt's contract, or every other test proves nothing."""
