"""A package whose README says too little."""
