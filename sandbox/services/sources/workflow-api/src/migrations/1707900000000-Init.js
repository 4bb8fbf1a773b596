module.exports = class Init1707900000000 {
  name = "Init1707900000000";

  async up(queryRunner) {
    await queryRunner.query(`CREATE TABLE "workflows" ("code" text NOT NULL, "title" text NOT NULL, CONSTRAINT "PK_workflows" PRIMARY KEY ("code"))`);
  }

  async down(queryRunner) {
    await queryRunner.query(`DROP TABLE "workflows"`);
  }
};
