// Original file: weft/v1/scheduler.proto


export interface Welcome {
  'leader'?: (number);
  'heartbeatMilliseconds'?: (number);
}

export interface Welcome__Output {
  'leader': (number);
  'heartbeatMilliseconds': (number);
}
