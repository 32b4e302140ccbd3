// What the platform loads: the Worker's entry and the classes of its objects. Nothing else lives here.
export { Directory } from "../durable-objects/directory.ts";
export { Workshop } from "../durable-objects/workshop.ts";
export { app as default } from "./app.ts";
