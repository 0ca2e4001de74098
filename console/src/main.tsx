// Where the console begins.

import "uplot/dist/uPlot.min.css";
import "./styles/theme.css";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/parts.css";
import "./styles/fields.css";
import "./styles/tables.css";
import "./styles/dialog.css";
import "./styles/pages.css";
import "./styles/service.css";
import "./styles/forms.css";

import { render } from "preact";

import { App } from "./app";
import { follow } from "./live";
import { followAddress } from "./router";
import { openSession } from "./session";
import { applySettings } from "./settings";

applySettings();
followAddress();
follow();
void openSession();

const root = document.getElementById("console");
if (root !== null) render(<App />, root);
