// worker-build's output as it is.
export * from "worker-build";
export { default } from "worker-build";
