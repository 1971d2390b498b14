"""One OpenAI-compatible endpoint: where it is, a request to it, attempts within a time, and a model that chats there.

Judges, opponents and engines over HTTP all ask by these.
"""
