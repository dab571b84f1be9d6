import type { ModelFacts } from "../model/protocol";
import type { Settings } from "../server";
import type { Action } from "../ui/keyboard";
import type { Workspace } from "../workspace";

export class Annotating {
  constructor(
    readonly workspace: Workspace,
    readonly settings: Settings,
    readonly facts: ModelFacts,
  ) {}

  actions(): Action[] {
    return [];
  }

  async begin(): Promise<void> {}
}
