// Original file: weft/v1/client.proto

import type { WorkerStatus as _weft_v1_WorkerStatus, WorkerStatus__Output as _weft_v1_WorkerStatus__Output } from '../../weft/v1/WorkerStatus.generated.ts';
import type { JobStatus as _weft_v1_JobStatus, JobStatus__Output as _weft_v1_JobStatus__Output } from '../../weft/v1/JobStatus.generated.ts';

export interface StatusResponse {
  'leader'?: (number);
  'workers'?: (_weft_v1_WorkerStatus)[];
  'jobs'?: (_weft_v1_JobStatus)[];
}

export interface StatusResponse__Output {
  'leader': (number);
  'workers': (_weft_v1_WorkerStatus__Output)[];
  'jobs': (_weft_v1_JobStatus__Output)[];
}
