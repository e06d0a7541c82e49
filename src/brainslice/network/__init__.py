"""The network. Keras is imported here and in ``train``, nowhere else."""
