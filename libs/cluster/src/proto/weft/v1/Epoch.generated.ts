// Original file: weft/v1/tensor.proto


export interface Epoch {
  'leader'?: (number);
  'generation'?: (number);
}

export interface Epoch__Output {
  'leader': (number);
  'generation': (number);
}
