export * from './plan/program.ts';
export * from './errors.ts';
export * from './transport/transport.ts';
export * from './transport/in-memory.ts';
export * from './collectives/collectives.ts';
export * from './runner/program-runner.ts';
export * from './runner/progress.ts';
export * from './transport/grpc.ts';
export * from './batch/source.ts';
export * from './checkpoint/manifest.ts';
export * from './store/file-store.ts';
export * from './scheduler/job.ts';
export { bytesText } from './scheduler/admission.ts';
export { defaultLimits } from './scheduler/machine.ts';
export type { LogEntry, SchedulerLimits } from './scheduler/machine.ts';
export * from './scheduler/shell.ts';
export { runWorker } from './worker/shell.ts';
export type { WorkerHandle, WorkerOptions } from './worker/shell.ts';
export { workerMain } from './worker/main.ts';
export type { WorkerMainOptions } from './worker/main.ts';
export * from './client/client.ts';
export * from './client/local-cluster.ts';
export { descriptionPlanner } from './scheduler/planner.ts';
export type { ReadyPlans } from './scheduler/planner.ts';
/** Hand-written plans, for tests of what runs plans. */
export * as examplePlans from './runner/example-plans.ts';
export { Mesh, PlanError, parseMesh } from './plan/mesh.ts';
export type { MeshShape } from './plan/mesh.ts';
export type { InferenceModel, TrainingModel, UpdateRule } from './plan/model.ts';
export { planTraining } from './plan/training.ts';
export type { TrainingPlanOptions } from './plan/training.ts';
export { planInference } from './plan/inference.ts';
export { fitMesh, planDescription, updateRule } from './plan/description.ts';
export type {
  ModelDescription,
  OptimizerDescription,
  ServingDescription,
  TrainingDescription,
} from './plan/description.ts';
export { describeServing, describeTraining } from './plan/describe-module.ts';
export type { DescribedTraining, StateValues, TrainingSettings } from './plan/describe-module.ts';
export { explainPlan } from './plan/explain.ts';
export type { DeviceExplanation, PlanExplanation } from './plan/explain.ts';
export { makeSchedule, printSchedule, scheduleNamed } from './plan/schedule.ts';
export { checkPlan, describeAction } from './plan/check.ts';
export { defineTraining, prepareTraining } from './training/definition.ts';
export type { PreparedTraining, TokenData, TrainingDefinition } from './training/definition.ts';
export { LocalTraining, localRefusal } from './training/local.ts';
export type { LocalStep } from './training/local.ts';
export { submitServing, submitTraining } from './training/submit.ts';
export type { SubmitOptions } from './training/submit.ts';
