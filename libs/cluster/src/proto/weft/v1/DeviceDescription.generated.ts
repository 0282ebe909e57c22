// Original file: weft/v1/scheduler.proto


export interface DeviceDescription {
  'type'?: (string);
  'index'?: (number);
  'name'?: (string);
  'memory'?: (number | string);
  'flops'?: (number | string);
  'bandwidth'?: (number | string);
  'dtypes'?: (string)[];
}

export interface DeviceDescription__Output {
  'type': (string);
  'index': (number);
  'name': (string);
  'memory': (number);
  'flops': (number);
  'bandwidth': (number);
  'dtypes': (string)[];
}
