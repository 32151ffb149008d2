"""The public-node role (service) and the list of first peers (peers.json); the face is empty."""
