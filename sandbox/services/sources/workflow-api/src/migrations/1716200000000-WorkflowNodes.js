module.exports = class WorkflowNodes1716200000000 {
  name = "WorkflowNodes1716200000000";

  async up(queryRunner) {
    await queryRunner.query(`CREATE TABLE "workflow_nodes" ("workflow_code" text NOT NULL, "node" text NOT NULL, "kind" text NOT NULL, CONSTRAINT "PK_workflow_nodes" PRIMARY KEY ("workflow_code", "node"), CONSTRAINT "FK_workflow_nodes_workflow" FOREIGN KEY ("workflow_code") REFERENCES "workflows"("code") ON DELETE CASCADE)`);
  }

  async down(queryRunner) {
    await queryRunner.query(`DROP TABLE "workflow_nodes"`);
  }
};
