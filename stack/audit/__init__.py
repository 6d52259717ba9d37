"""Ring 4. What a lock holds, what is known of it, and what follows from that."""
