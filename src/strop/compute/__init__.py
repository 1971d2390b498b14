"""How a transformer runs. Only `policies/` uses it, and gives on what others ask for.

A policy has a `runner`: it reads prompts and makes token after token (sampling), and gives the hidden state before each
decision (training). There are two, with equal results up to rounding:

`plain_runner`  transformers' own forward pass, for any model on any device, and what the fast one is compared with.
                padded: prompts padded on the left, one token a step · kv_cache: keys and values written in place ·
                replaced: the model with some layers replaced
`fast_runner`   a forward pass of our own for models like Llama, on a CPU. It is faster for three reasons:
                1. A prompt is computed once for all answers to it, and what all prompts begin with once for all
                   prompts: ragged_attention, attention. In decoding: prompt_attention, shared_prompt, prompt_groups,
                   generated_kv.
                2. A token takes few operations: decoder_layer (fast_layer has the same layer for many tokens).
                3. Products suit the processor: linears says which layers are multiplied as one and how, products and
                   training_product multiply.

An `encoder` that reads in both directions has no decisions and decodes nothing: it gives the vectors of whole texts.

`kept` holds the copies of weights that products read: made when needed, dropped when training changes the weights,
alive while anybody uses them. `output_head` turns hidden states into logits in chunks, for both runners. `precision`
says which number types are fast here, and `allocator` keeps freed memory in the process during a run.
"""
