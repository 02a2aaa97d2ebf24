// The pages with one thing to say need nothing but their copy buttons.

import { watchCopyButtons } from "./shared/copy";

watchCopyButtons();
