"""A local Volt: a real HTTP server over an invented world, for the demo and the tests.

It knows nothing of the rest of the package and reads only the contract, api/schema.graphql, so that an agreement
between the two sides is an agreement through Volt's own text and not through shared code.
"""
