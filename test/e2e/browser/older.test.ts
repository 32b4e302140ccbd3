import { browserSuite } from "./suite.ts";

browserSuite("1.37.11");
