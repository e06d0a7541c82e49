"""Brain-tumour MRI slices classified by a model whose every number can be believed."""

