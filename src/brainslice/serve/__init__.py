"""The door over HTTP: uploads in, answers out, nothing kept."""
