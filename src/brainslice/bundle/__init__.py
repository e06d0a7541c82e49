"""What training leaves."""
