// What the bundler makes of an imported .wasm file (wrangler's CompiledWasm rule): a compiled module, since Workers may not compile at run time.
declare module "*.wasm" {
  const module: WebAssembly.Module;
  export default module;
}
