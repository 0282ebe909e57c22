// torch.optim and the gradient clipping of torch.nn.utils.
export * from './optimizer.ts';
export * from './optimizers.ts';
export * from './schedulers.ts';
export * from './clip.ts';
