// Vite's raw imports: the recorded exchanges and documents are data of the tests, parsed where they are used.
declare module "*?raw" {
  const text: string;
  export default text;
}
