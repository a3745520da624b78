"""The receiver over HTTP: who may send, what is answered, and how long a connection may take."""
