import { browserSuite } from "./suite.ts";

browserSuite("1.58.1");
