module.exports = class WorkflowRuns1731000000000 {
  name = "WorkflowRuns1731000000000";

  async up(queryRunner) {
    await queryRunner.query(`CREATE TABLE "workflow_runs" ("id" SERIAL NOT NULL, "workflow_code" text NOT NULL, "outcome" text NOT NULL, "started_at" TIMESTAMP NOT NULL DEFAULT now(), CONSTRAINT "PK_workflow_runs" PRIMARY KEY ("id"))`);
    await queryRunner.query(`ALTER TABLE "workflows" ADD "active" boolean NOT NULL DEFAULT true`);
  }

  async down(queryRunner) {
    await queryRunner.query(`ALTER TABLE "workflows" DROP COLUMN "active"`);
    await queryRunner.query(`DROP TABLE "workflow_runs"`);
  }
};
