"""What other code asks of a recurrent layer of torch: attributes, conversion, tracers, quantisers."""
